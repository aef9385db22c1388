/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the messages of tessera.matmul.v1 (nanopb) and matrix views: reading a
 * Matrix that somebody sent, and laying out one that is sent, so that its
 * elements start at an aligned offset of the message and can be used in place.
 *
 * Ownership: a view that was read lies in the message's bytes, or, where the
 * sender typed `values`, in the arena. A message that was written borrows the
 * view's bytes.
 */
#ifndef TESSERA_WASM_WIRE_H
#define TESSERA_WASM_WIRE_H

#include <stddef.h>

#include <tessera/memory.h>
#include <tessera/matmul/v1/matmul.pb.h>
#include <tessera/status.h>

#include "matmul/matrix.h"
#include "matmul/reason.h"

/* Elements of a request start at a multiple of this many bytes of its message. */
#define TESS_WIRE_ALIGNMENT 64u

/* Checks everything a sender can get wrong: dtype, length of the data, none or
 * both of data and values, a block, rows x cols that overflow. `name` ("A") stands
 * in the reason. TESS_INVALID_ARGUMENT; TESS_UNIMPLEMENTED: a dtype without a
 * kernel; TESS_RESOURCE_EXHAUSTED: no memory for typed values. */
tess_code tess_wire_read_matrix(const tessera_matmul_v1_Matrix *message, const char *name,
                                tess_arena *arena, tess_const_matrix *matrix, tess_reason *reason);

/* A matrix that names a block: the shape of the whole block (without data) and its bytes,
 * and that the matrix lies inside. TESS_INVALID_ARGUMENT; TESS_UNIMPLEMENTED: a dtype
 * without a kernel. */
tess_code tess_wire_read_block(const tessera_matmul_v1_Matrix *message, const char *name,
                               tess_const_matrix *block, size_t *bytes, tess_reason *reason);

/* Makes *message the matrix, borrowed row by row. */
void tess_wire_write_matrix(tessera_matmul_v1_Matrix *message, tess_const_matrix matrix);

/* Sets the paddings of a request whose matrices are written already. */
void tess_wire_align_request(tessera_matmul_v1_MatmulRequest *request);

/* Copies a text into a fixed field of a message, cut to what fits. */
void tess_wire_set_text(char *field, size_t field_size, const char *text);
#define TESS_WIRE_SET_TEXT(field, text) tess_wire_set_text((field), sizeof(field), (text))

#endif
