/* SPDX-License-Identifier: Apache-2.0
 *
 * See held.h.
 */
#include "cli/held.h"

#include <string.h>
#include <sys/mman.h>

#include "cli/block_name.h"
#include "cli/report.h"
#include "cli/wire.h"

/* Of one block's description. */
#define MAX_REPLY_BYTES ((size_t)64 << 10)
#define LOOK_UP_MS 10000
#define CHECK_ALWAYS TESSERA__MATMUL__V1__CHECK__CHECK_ALWAYS

static ProtobufCBinaryData name_field(const uint8_t *name) {
  /* The generated struct has no const; nobody writes through it. */
  union {
    const uint8_t *in;
    uint8_t *out;
  } bytes = {name};
  return (ProtobufCBinaryData){TESS_SHA256_BYTES, bytes.out};
}

/* The server and worker of former versions have no BlockService. */
static tess_code explain(const char *url, tess_code code, tess_status *status) {
  if (code != TESS_UNIMPLEMENTED) return code;
  return tess_status_set(status, code, "%s keeps no blocks", url);
}

tess_code cli_held_find(cli_remote *remote, const tess_call_options *options, cli_held_block *block,
                        tess_status *status) {
  Tessera__Matmul__V1__ListBlocksRequest request;
  Tessera__Matmul__V1__ListBlocksResponse reply;
  ProtobufCBinaryData name = name_field(block->name);
  tessera__matmul__v1__list_blocks_request__init(&request);
  request.n_sha256 = 1;
  request.sha256 = &name;
  tess_code code =
      cli_remote_call(remote, cli_method_list_blocks(), options, &request, &reply, status);
  if (code != TESS_OK) return explain(remote->url, code, status);
  for (size_t i = 0; i < reply.n_blocks; i++) {
    const Tessera__Matmul__V1__BlockInfo *info = reply.blocks[i];
    if (info->sha256.len != TESS_SHA256_BYTES ||
        memcmp(info->sha256.data, block->name, TESS_SHA256_BYTES) != 0)
      continue;
    block->rows = info->rows;
    block->cols = info->cols;
    block->dtype = (tess_dtype)info->dtype;
    return TESS_OK;
  }
  char text[CLI_BLOCK_NAME_TEXT];
  cli_block_name_format(text, block->name);
  return tess_status_set(status, TESS_NOT_FOUND,
                         "%s does not hold %s: put it there first, with "
                         "tessera put",
                         remote->url, text);
}

/* A name is of bytes; what shape and type they have, the holder keeps as it was told first. */
static tess_code check_form(const cli_remote *remote, const cli_held_block *held,
                            tess_const_matrix elements, tess_status *status) {
  if (held->rows == elements.rows && held->cols == elements.cols && held->dtype == elements.dtype)
    return TESS_OK;
  const char *theirs = tess_dtype_name(held->dtype);
  char text[CLI_BLOCK_NAME_TEXT];
  cli_block_name_format(text, held->name);
  return tess_status_set(status, TESS_ALREADY_EXISTS,
                         "%s holds the same bytes as a matrix of %u x %u %s, and here they are one "
                         "of %u x %u %s: a name has one form (tessera blocks %s --drop %s gives it "
                         "up)",
                         remote->url, held->rows, held->cols, theirs != NULL ? theirs : "unknown",
                         elements.rows, elements.cols, tess_dtype_name(elements.dtype), remote->url,
                         text);
}

static tess_code send_block(cli_remote *remote, const tess_call_options *options,
                            tess_const_matrix elements, const uint8_t name[TESS_SHA256_BYTES],
                            bool *known, tess_status *status) {
  Tessera__Matmul__V1__PutBlockRequest request;
  Tessera__Matmul__V1__PutBlockResponse reply;
  Tessera__Matmul__V1__Matrix matrix;
  tessera__matmul__v1__put_block_request__init(&request);
  cli_wire_fill_matrix(&matrix, elements);
  request.matrix = &matrix;
  request.sha256 = name_field(name);
  tess_code code =
      cli_remote_call(remote, cli_method_put_block(), options, &request, &reply, status);
  if (code != TESS_OK) return code;
  *known = reply.known;
  if (reply.sha256.len != TESS_SHA256_BYTES ||
      memcmp(reply.sha256.data, name, TESS_SHA256_BYTES) != 0)
    return tess_status_set(status, TESS_DATA_LOSS, "%s keeps the block under another name",
                           remote->url);
  return TESS_OK;
}

tess_code cli_held_put(cli_remote *remote, const tess_call_options *options,
                       tess_const_matrix elements, const uint8_t name[TESS_SHA256_BYTES],
                       bool *known, tess_status *status) {
  cli_held_block held;
  memcpy(held.name, name, sizeof held.name);
  tess_code code = cli_held_find(remote, options, &held, status);
  *known = code == TESS_OK;
  if (code == TESS_NOT_FOUND) {
    tess_status_reset(status);
    code = send_block(remote, options, elements, name, known, status);
    /* Somebody else may have put it meanwhile. */
    if (code == TESS_OK && *known) code = cli_held_find(remote, options, &held, status);
  }
  return code == TESS_OK && *known ? check_form(remote, &held, elements, status) : code;
}

/* ---- named operands of a product ---- */

static tess_code find_at(const char *url, const program_tls *tls, cli_held_block *const blocks[2],
                         tess_status *status) {
  cli_remote remote;
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  const tess_call_options options = {.timeout_ms = LOOK_UP_MS, .arena = &arena};
  tess_code code = cli_remote_open(&remote, url, tls, MAX_REPLY_BYTES, status);
  for (unsigned i = 0; i < 2 && code == TESS_OK; i++)
    if (blocks[i] != NULL) code = cli_held_find(&remote, &options, blocks[i], status);
  cli_remote_close(&remote);
  tess_arena_cleanup(&arena);
  return code;
}

static bool same_form(const cli_held_block *a, const cli_held_block *b) {
  return a->rows == b->rows && a->cols == b->cols && a->dtype == b->dtype;
}

/* Leaves those workers that hold all blocks. A name is of elements alone: what shape they
 * have the holders must agree on. */
static tess_code find_at_workers(cli_multiply_options *options, cli_held_block *const blocks[2],
                                 tess_status *status) {
  uint32_t holders = 0;
  for (uint32_t i = 0; i < options->worker_count; i++) {
    cli_held_block first[2];
    for (unsigned j = 0; j < 2; j++)
      if (blocks[j] != NULL) first[j] = *blocks[j];
    tess_status_reset(status);
    tess_code code = find_at(options->workers[i], &options->tls, blocks, status);
    for (unsigned j = 0; j < 2 && code == TESS_OK && holders > 0; j++)
      if (blocks[j] != NULL && !same_form(&first[j], blocks[j]))
        return tess_status_set(status, TESS_FAILED_PRECONDITION,
                               "%s is %u x %u at %s and %u x %u at %s, or of another type: drop it "
                               "at one of them",
                               j == 0 ? options->a_path : options->b_path, first[j].rows,
                               first[j].cols, options->workers[0], blocks[j]->rows, blocks[j]->cols,
                               options->workers[i]);
    if (code == TESS_OK) {
      options->workers[holders++] = options->workers[i];
      continue;
    }
    for (unsigned j = 0; j < 2; j++)
      if (blocks[j] != NULL) *blocks[j] = first[j];
    if (code == TESS_CANCELED) return code;
    if (i + 1 < options->worker_count || holders > 0)
      cli_note(options->quiet, "note: %s; it gets no tiles", cli_status_text(status));
  }
  if (holders == 0) return status->code;
  tess_status_reset(status);
  options->worker_count = holders;
  return TESS_OK;
}

/* Addresses for the elements, and no memory: a read would end the program, not give a
 * wrong result. */
static tess_code make_view(cli_held_operand *operand, tess_status *status) {
  const cli_held_block *block = &operand->block;
  size_t bytes = 0;
  if (!tess_matrix_byte_count(block->rows, block->cols, block->dtype, &bytes))
    return tess_status_set(status, TESS_DATA_LOSS, "a block of %u x %u elements is too large",
                           block->rows, block->cols);
  operand->bytes = bytes > 0 ? bytes : 1;
  void *at =
      mmap(NULL, operand->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) {
    operand->bytes = 0;
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED,
                           "no address space for a block of %zu "
                           "bytes",
                           bytes);
  }
  operand->view = tess_const_matrix_packed(at, block->rows, block->cols, block->dtype);
  return TESS_OK;
}

tess_code cli_held_operands_find(cli_multiply_options *options, cli_held_operand *a,
                                 cli_held_operand *b, tess_status *status) {
  cli_held_operand *operands[2] = {a, b};
  const char *texts[2] = {options->a_path, options->b_path};
  cli_held_block *blocks[2] = {NULL, NULL};
  for (unsigned i = 0; i < 2; i++) {
    *operands[i] = (cli_held_operand){0};
    if (!cli_block_name_parse(texts[i], operands[i]->block.name)) continue;
    operands[i]->given = true;
    blocks[i] = &operands[i]->block;
  }
  if (blocks[0] == NULL && blocks[1] == NULL) return TESS_OK;
  if (options->place == CLI_PLACE_WORKERS && options->check == CHECK_ALWAYS)
    return tess_status_set(status, TESS_FAILED_PRECONDITION,
                           "--check always takes the elements of A and B, and those of a name are "
                           "not here; --server has them");
  tess_code code = options->place == CLI_PLACE_SERVER
                       ? find_at(options->server, &options->tls, blocks, status)
                       : find_at_workers(options, blocks, status);
  for (unsigned i = 0; i < 2 && code == TESS_OK; i++)
    if (operands[i]->given) code = make_view(operands[i], status);
  return code;
}

void cli_held_operand_cleanup(cli_held_operand *operand) {
  union {
    const void *in;
    void *out;
  } at = {operand->view.data};
  if (operand->bytes > 0) munmap(at.out, operand->bytes);
  *operand = (cli_held_operand){0};
}
