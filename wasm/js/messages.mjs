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
export const CHECKS = Object.freeze(/** @type {const} */ ([
  'CHECK_UNSPECIFIED', 'CHECK_NEVER', 'CHECK_ALWAYS', 'CHECK_ADAPTIVE']));

/** @param {string} name
 * @param {Record<string, [number, import('./protobuf.mjs').Field['type'], 'repeated'?]>} rows
 * @returns {Message} */
function message(name, rows) {
  const fields = Object.fromEntries(Object.entries(rows).map(([field, [id, type, repeated]]) =>
    [field, { id, type, repeated: repeated !== undefined }]));
  return Object.freeze({ name: `tessera.matmul.v1.${name}`, fields });
}

export const BlockRef = message('BlockRef', {
  sha256: [1, 'bytes'],
  rows: [2, 'uint32'],
  cols: [3, 'uint32'],
  row: [4, 'uint32'],
  col: [5, 'uint32'],
  coming: [6, 'bool'],
});

export const MissingBlocks = message('MissingBlocks', { sha256: [1, 'bytes', 'repeated'] });

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

export const Tile = message('Tile', {
  row: [1, 'uint32'],
  col: [2, 'uint32'],
  rows: [3, 'uint32'],
  cols: [4, 'uint32'],
  k: [5, 'uint32'],
  depth: [6, 'uint32'],
});

export const MatmulRequest = message('MatmulRequest', {
  a: [1, Matrix],
  b: [2, Matrix],
  c: [3, Matrix],
  scaling: [4, Scaling],
  transposeA: [5, 'bool'],
  transposeB: [6, 'bool'],
  tile: [7, Tile],
  productId: [8, 'string'],
  check: [9, CHECKS],
});

export const WorkerStats = message('WorkerStats', {
  worker: [1, 'string'],
  tiles: [2, 'uint32'],
  failures: [3, 'uint32'],
  computeMs: [4, 'double'],
  bytesSent: [5, 'uint64'],
  bytesReceived: [6, 'uint64'],
  backups: [7, 'uint32'],
  cacheHits: [8, 'uint32'],
  cacheBytes: [9, 'uint64'],
  checked: [10, 'uint32'],
  rejected: [11, 'uint32'],
  waitMs: [12, 'double'],
  gflops: [13, 'double'],
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
  backups: [9, 'uint32'],
  checked: [10, 'uint32'],
  rejected: [11, 'uint32'],
  bytesSent: [12, 'uint64'],
  bytesReceived: [13, 'uint64'],
  cacheBytes: [14, 'uint64'],
  peakBytes: [15, 'uint64'],
  gflops: [16, 'double'],
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
  inFlight: [5, 'uint32'],
  quarantined: [6, 'bool'],
  gflops: [7, 'double'],
  megabytesPerSecond: [8, 'double'],
  bytesSent: [9, 'uint64'],
  bytesReceived: [10, 'uint64'],
  backups: [11, 'uint32'],
  rejected: [12, 'uint32'],
  cacheBytes: [13, 'uint64'],
  computeMs: [14, 'double'],
  waitMs: [15, 'double'],
});

export const ProductInfo = message('ProductInfo', {
  productId: [1, 'string'],
  m: [2, 'uint32'],
  n: [3, 'uint32'],
  k: [4, 'uint32'],
  tilesDone: [5, 'uint32'],
  tiles: [6, 'uint32'],
  elapsedMs: [7, 'double'],
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
  gflops: [11, 'double'],
  blockBytes: [12, 'uint64'],
  blockCapacityBytes: [13, 'uint64'],
  products: [14, ProductInfo, 'repeated'],
  notes: [15, 'string', 'repeated'],
});

export const PutBlockRequest = message('PutBlockRequest', { matrix: [1, Matrix], sha256: [2, 'bytes'] });
export const PutBlockResponse = message('PutBlockResponse', { sha256: [1, 'bytes'], known: [2, 'bool'] });

export const BlockInfo = message('BlockInfo', {
  sha256: [1, 'bytes'],
  rows: [2, 'uint32'],
  cols: [3, 'uint32'],
  dtype: [4, DTYPES],
  bytes: [5, 'uint64'],
});

export const ListBlocksRequest = message('ListBlocksRequest', { sha256: [1, 'bytes', 'repeated'] });
export const ListBlocksResponse = message('ListBlocksResponse', {
  blocks: [1, BlockInfo, 'repeated'],
  usedBytes: [2, 'uint64'],
  capacityBytes: [3, 'uint64'],
  awaitsPuts: [4, 'bool'],
});

export const DropBlockRequest = message('DropBlockRequest', { sha256: [1, 'bytes'] });
export const DropBlockResponse = message('DropBlockResponse', { dropped: [1, 'bool'] });

export const GetModeRequest = message('GetModeRequest', {});
export const GetModeResponse = message('GetModeResponse', { mode: [1, MODES], effective: [2, MODES] });
export const SetModeRequest = message('SetModeRequest', { mode: [1, MODES] });
export const SetModeResponse = message('SetModeResponse', { previous: [1, MODES] });
export const SetWorkersRequest = message('SetWorkersRequest', { urls: [1, 'string', 'repeated'] });
export const SetWorkersResponse = message('SetWorkersResponse', {
  joined: [1, 'uint32'],
  left: [2, 'uint32'],
  workers: [3, 'uint32'],
});
