/* projectors: the folders where reducers (TYPE.jq) are looked for. */
#ifndef LIFEBOAT_PROJECTORS_H
#define LIFEBOAT_PROJECTORS_H

#include "core/reducer.h"

/* $LIFEBOAT_PROJECTORS, /etc/lifeboat/projectors, the installed share folder,
 * or the sources' folder when the program runs from where it was built. */
struct projector_paths cli_projectors(void);

#endif
