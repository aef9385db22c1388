/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/wire.h"

#include <string.h>

#include "tessera/matmul/v1/matmul.rpc.pb-c.h"

static const struct {
  const char *name;
  Tessera__Matmul__V1__Mode mode;
} modes[] = {
    {"serial", TESSERA__MATMUL__V1__MODE__MODE_SERIAL},
    {"proxy", TESSERA__MATMUL__V1__MODE__MODE_PROXY},
    {"adaptive", TESSERA__MATMUL__V1__MODE__MODE_ADAPTIVE},
};

const char *cli_mode_name(Tessera__Matmul__V1__Mode mode) {
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
    if (modes[i].mode == mode) return modes[i].name;
  return "unknown mode";
}

Tessera__Matmul__V1__Mode cli_mode_from_name(const char *name) {
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
    if (strcmp(modes[i].name, name) == 0) return modes[i].mode;
  return TESSERA__MATMUL__V1__MODE__MODE_UNSPECIFIED;
}

/* The tables are in the order of the .proto. */
const tess_method *cli_method_multiply(void) {
  return &tessera_matmul_v1_matmul_service_methods_pb_c[0];
}

const tess_method *cli_method_multiply_tiles(void) {
  return &tessera_matmul_v1_matmul_service_methods_pb_c[1];
}

const tess_method *cli_method_describe(void) {
  return &tessera_matmul_v1_matmul_service_methods_pb_c[2];
}

const tess_method *cli_method_get_mode(void) {
  return &tessera_matmul_v1_controller_service_methods_pb_c[0];
}

const tess_method *cli_method_set_mode(void) {
  return &tessera_matmul_v1_controller_service_methods_pb_c[1];
}

const tess_method *cli_method_put_block(void) {
  return &tessera_matmul_v1_block_service_methods_pb_c[0];
}

const tess_method *cli_method_list_blocks(void) {
  return &tessera_matmul_v1_block_service_methods_pb_c[1];
}

const tess_method *cli_method_drop_block(void) {
  return &tessera_matmul_v1_block_service_methods_pb_c[2];
}

void cli_wire_fill_matrix(Tessera__Matmul__V1__Matrix *wire, tess_const_matrix view) {
  tessera__matmul__v1__matrix__init(wire);
  wire->rows = view.rows;
  wire->cols = view.cols;
  wire->dtype = (Tessera__Matmul__V1__DType)view.dtype;
  /* The generated struct has no const; nobody writes through it. */
  union {
    const void *in;
    uint8_t *out;
  } data = {view.data};
  wire->data.data = data.out;
  wire->data.len = tess_matrix_span_bytes(view);
}
