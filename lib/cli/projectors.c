#include "cli/projectors.h"

#include "cli/cli.h"

struct projector_paths cli_projectors(void)
{
    static const char *sources;

    if (!sources)
        sources = cli_beside_build("lib/projectors");
    return (struct projector_paths){
        {cli.projectors, "/etc/lifeboat/projectors", LIFEBOAT_SHARE "/projectors", sources}};
}
