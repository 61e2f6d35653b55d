/* metrics: what there is to watch, in the text format of Prometheus. */
#include "cli/metrics.h"

#include "cli/settings.h"
#include "lifeboat.cgi/front.h"

/* Who asks is answered at once: what is left of a long log comes at the next asking. */
#define LOG_MOST (INT64_C(2) << 20)

int metrics_show(struct exchange *x, struct err *e)
{
    struct metrics m = {.http_log = settings_get("HTTP_LOG"), .http_most = LOG_MOST};

    if (!front_store(x, STORE_READ, e))
        m.store = &x->store;
    else if (e->status != EX_NOINPUT)
        return -1;
    x->answer.type = "text/plain; version=0.0.4";
    if (metrics_put(&m, &x->answer.body, e))
        return -1;
    return front_done(x, 200, 0, e);
}
