/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of the wire contract as people write them, its methods, and matrices on it.
 */
#ifndef TESSERA_CLI_WIRE_H
#define TESSERA_CLI_WIRE_H

#include <tessera/service.h>

#include "matmul/matrix.h"
#include "tessera/matmul/v1/matmul.pb-c.h"

const tess_method *cli_method_multiply(void);
const tess_method *cli_method_multiply_tiles(void);
const tess_method *cli_method_describe(void);
const tess_method *cli_method_get_mode(void);
const tess_method *cli_method_set_mode(void);
const tess_method *cli_method_put_block(void);
const tess_method *cli_method_list_blocks(void);
const tess_method *cli_method_drop_block(void);

/* Makes *wire the matrix, borrowed; the view is packed. */
void cli_wire_fill_matrix(Tessera__Matmul__V1__Matrix *wire, tess_const_matrix view);

/* "serial", "proxy", "adaptive"; "unknown mode" for anything else. */
const char *cli_mode_name(Tessera__Matmul__V1__Mode mode);
/* MODE_UNSPECIFIED: the name is none. */
Tessera__Matmul__V1__Mode cli_mode_from_name(const char *name);

#endif
