/*
 * main: ocppsim, simulated charge points.
 *
 * It is three programs in one: the fleet; `cp`, one charge point that a script
 * controls; `verify`, which compares a ledger with a journal.
 */
#include <string.h>

#include "cp.h"
#include "options.h"
#include "parent.h"
#include "verify.h"

int
main(int argc, char **argv)
{
    static struct options o;

    if (argc > 1 && strcmp(argv[1], "cp") == 0)
        return cp_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "verify") == 0)
        return verify_main(argc - 1, argv + 1);
    options_parse(&o, argc, argv);
    return parent_run(&o);
}
