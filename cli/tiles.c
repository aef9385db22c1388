/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tiles.h"

#include <stdlib.h>
#include <string.h>

void cli_tiles_init(cli_tiles *tiles, tess_matrix c, tess_status *status) {
  memset(tiles, 0, sizeof *tiles);
  tiles->c = c;
  tiles->status = status;
}

void cli_tiles_cleanup(cli_tiles *tiles) {
  free(tiles->tiles);
  tiles->tiles = NULL;
}

static bool overlap(tess_tile a, tess_tile b) {
  return a.row < b.row + b.rows && b.row < a.row + a.rows && a.col < b.col + b.cols &&
         b.col < a.col + a.cols;
}

/* Empty ones hold nothing: they are not kept. */
static tess_code keep(cli_tiles *tiles, tess_tile tile) {
  unsigned count = atomic_load(&tiles->count);
  for (unsigned i = 0; i < count; i++)
    if (overlap(tiles->tiles[i], tile))
      return tess_status_set(tiles->status, TESS_DATA_LOSS,
                             "two tiles of the reply overlap at row %u, column %u", tile.row,
                             tile.col);
  if (count == tiles->capacity) {
    size_t capacity = tiles->capacity > 0 ? 2 * tiles->capacity : 64;
    tess_tile *more = realloc(tiles->tiles, capacity * sizeof *more);
    if (more == NULL)
      return tess_status_set(tiles->status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    tiles->tiles = more;
    tiles->capacity = capacity;
  }
  tiles->tiles[count] = tile;
  atomic_store(&tiles->count, count + 1);
  return TESS_OK;
}

tess_code cli_tiles_put(cli_tiles *tiles, const Tessera__Matmul__V1__TileResult *result) {
  const Tessera__Matmul__V1__Tile *wire = result->tile;
  const Tessera__Matmul__V1__Matrix *matrix = result->c;
  const tess_matrix c = tiles->c;
  if (wire == NULL || matrix == NULL)
    return tess_status_set(tiles->status, TESS_DATA_LOSS, "a tile of the reply is empty");
  const tess_tile tile = {wire->row, wire->col, wire->rows, wire->cols};
  if (tile.row > c.rows || tile.rows > c.rows - tile.row || tile.col > c.cols ||
      tile.cols > c.cols - tile.col)
    return tess_status_set(tiles->status, TESS_DATA_LOSS,
                           "a tile of the reply, %u x %u at row %u, column %u, lies outside",
                           tile.rows, tile.cols, tile.row, tile.col);
  size_t bytes = 0;
  if (matrix->rows != tile.rows || matrix->cols != tile.cols ||
      (tess_dtype)matrix->dtype != c.dtype ||
      !tess_matrix_byte_count(tile.rows, tile.cols, c.dtype, &bytes) || matrix->data.len != bytes)
    return tess_status_set(tiles->status, TESS_DATA_LOSS,
                           "a tile of the reply says %u x %u and holds %zu bytes", tile.rows,
                           tile.cols, matrix->data.len);
  if (bytes == 0) return TESS_OK;
  tess_code code = keep(tiles, tile);
  if (code != TESS_OK) return code;
  tess_matrix_copy(tess_matrix_sub(c, tile.row, tile.col, tile.rows, tile.cols),
                   tess_const_matrix_packed(matrix->data.data, tile.rows, tile.cols, c.dtype));
  atomic_fetch_add(&tiles->elements, (uint64_t)tile.rows * tile.cols);
  return TESS_OK;
}

tess_code cli_tiles_check_complete(cli_tiles *tiles) {
  const uint64_t all = (uint64_t)tiles->c.rows * tiles->c.cols;
  const uint64_t here = atomic_load(&tiles->elements);
  if (here == all) return TESS_OK; /* none overlaps, so nothing is missing */
  return tess_status_set(tiles->status, TESS_DATA_LOSS, "the reply holds %llu of %llu elements",
                         (unsigned long long)here, (unsigned long long)all);
}
