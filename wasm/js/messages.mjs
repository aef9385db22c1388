// SPDX-License-Identifier: Apache-2.0
/**
 * The messages of proto/tessera/matmul/v1/matmul.proto as tables for
 * protobuf.mjs. A test (tests/node/messages.test.mjs) holds every row against
 * the schema that protoc reads.
 */

/** @typedef {import('./protobuf.mjs').Message} Message */

export const DTYPES = Object.freeze(/** @type {const} */ ([
  'DTYPE_UNSPECIFIED', 'DTYPE_FLOAT32', 'DTYPE_FLOAT64', 'DTYPE_FLOAT16', 'DTYPE_BFLOAT16', 'DTYPE_INT8', 'DTYPE_INT32']));
export const MODES = Object.freeze(/** @type {const} */ ([
  'MODE_UNSPECIFIED', 'MODE_SERIAL', 'MODE_PROXY', 'MODE_ADAPTIVE']));

/** @param {string} name
 * @param {Record<string, [number, import('./protobuf.mjs').Field['type'], 'repeated'?]>} rows
 * @returns {Message} */
function message(name, rows) {
  const fields = Object.fromEntries(Object.entries(rows).map(([field, [id, type, repeated]]) =>
    [field, { id, type, repeated: repeated !== undefined }]));
  return Object.freeze({ name: `tessera.matmul.v1.${name}`, fields });
}

export const BlockRef = message('BlockRef', { sha256: [1, 'bytes'] });

export const Matrix = message('Matrix', {
  rows: [1, 'uint32'],
  cols: [2, 'uint32'],
  dtype: [3, DTYPES],
  padding: [4, 'bytes'],
  data: [5, 'bytes'],
  values: [6, 'double', 'repeated'],
  block: [7, BlockRef],
});

export const Scaling = message('Scaling', { alpha: [1, 'double'], beta: [2, 'double'] });

export const Tile = message('Tile', { row: [1, 'uint32'], col: [2, 'uint32'], rows: [3, 'uint32'], cols: [4, 'uint32'] });

export const MatmulRequest = message('MatmulRequest', {
  a: [1, Matrix],
  b: [2, Matrix],
  c: [3, Matrix],
  scaling: [4, Scaling],
  transposeA: [5, 'bool'],
  transposeB: [6, 'bool'],
  tile: [7, Tile],
  productId: [8, 'string'],
});

export const WorkerStats = message('WorkerStats', {
  worker: [1, 'string'],
  tiles: [2, 'uint32'],
  failures: [3, 'uint32'],
  computeMs: [4, 'double'],
  bytesSent: [5, 'uint64'],
  bytesReceived: [6, 'uint64'],
});

export const ProductStats = message('ProductStats', {
  mode: [1, MODES],
  tiles: [2, 'uint32'],
  localTiles: [3, 'uint32'],
  proxiedTiles: [4, 'uint32'],
  retries: [5, 'uint32'],
  elapsedMs: [6, 'double'],
  workers: [7, WorkerStats, 'repeated'],
  notes: [8, 'string', 'repeated'],
});

export const TileResult = message('TileResult', {
  tile: [1, Tile],
  c: [2, Matrix],
  worker: [3, 'string'],
  kernel: [4, 'string'],
  computeMs: [5, 'double'],
  productId: [6, 'string'],
  stats: [7, ProductStats],
});

export const DescribeRequest = message('DescribeRequest', {});

export const KernelInfo = message('KernelInfo', { name: [1, 'string'], dtypes: [2, DTYPES, 'repeated'] });

export const WorkerInfo = message('WorkerInfo', {
  url: [1, 'string'],
  available: [2, 'bool'],
  tiles: [3, 'uint32'],
  failures: [4, 'uint32'],
});

export const DescribeResponse = message('DescribeResponse', {
  name: [1, 'string'],
  version: [2, 'string'],
  kernels: [3, KernelInfo, 'repeated'],
  cores: [4, 'uint32'],
  maxConcurrentProducts: [5, 'uint32'],
  maxMessageBytes: [6, 'uint64'],
  memoryLimitBytes: [7, 'uint64'],
  mode: [8, MODES],
  workers: [9, WorkerInfo, 'repeated'],
  engine: [10, 'string'],
});

export const GetModeRequest = message('GetModeRequest', {});
export const GetModeResponse = message('GetModeResponse', { mode: [1, MODES], effective: [2, MODES] });
export const SetModeRequest = message('SetModeRequest', { mode: [1, MODES] });
export const SetModeResponse = message('SetModeResponse', { previous: [1, MODES] });
