#include "cli/cli.h"

struct store_settings cli_store_settings(bool bulk)
{
    return (struct store_settings){
        .device = cli.device, .wait_s = cli.wait_s, .bulk = bulk, .small = cli.small};
}

void cli_store(struct store *st, enum store_mode mode, bool bulk)
{
    struct store_settings set = cli_store_settings(bulk);
    struct err e = ERR_NONE;

    if (store_open(st, cli.db, mode, &set, &e))
        cli_die(&e);
}
