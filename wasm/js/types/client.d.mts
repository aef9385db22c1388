// Made by tools/js-types.mjs from client.mjs; do not edit.
/** A call that fails rejects with TesseraError, whatever the reason: wrong arguments are
 * invalid_argument, an abort is canceled, a host that was closed and a peer that is away are unavailable. */
export class MatmulClient {
    /** Throws TypeError on what carries no calls.
     * @param {import('./connect.mjs').Caller} caller borrowed */
    constructor(caller: import("./connect.mjs").Caller);
    /** The product in one reply.
     * @param {Product} product
     * @param {CallOptions} [options]
     * @returns {Promise<TileResult>} */
    multiply(product: Product, options?: CallOptions): Promise<TileResult>;
    /** The product tile by tile, as tiles finish; the last message carries stats.
     * @param {Product} product
     * @param {CallOptions} [options]
     * @returns {AsyncGenerator<TileResult>} */
    multiplyTiles(product: Product, options?: CallOptions): AsyncGenerator<TileResult>;
    /** What computes there: see DescribeResponse in matmul.proto.
     * @param {CallOptions} [options]
     * @returns {Promise<Description>} */
    describe(options?: CallOptions): Promise<Description>;
    /** Gives a matrix to whoever computes, to be named in products from then on. It is kept until
     * others need its room; then a product that names it fails with not_found.
     * @param {DenseMatrix} matrix
     * @param {CallOptions} [options]
     * @returns {Promise<NamedMatrix & {known: boolean}>} known: it was held already */
    putBlock(matrix: DenseMatrix, options?: CallOptions): Promise<NamedMatrix & {
        known: boolean;
    }>;
    /** What is held, last used first.
     * @param {CallOptions} [options]
     * @returns {Promise<BlockList>} */
    listBlocks(options?: CallOptions): Promise<BlockList>;
    /** @param {Uint8Array} sha256
     * @param {CallOptions} [options]
     * @returns {Promise<boolean>} whether it was held */
    dropBlock(sha256: Uint8Array, options?: CallOptions): Promise<boolean>;
    /** @param {CallOptions} [options]
     * @returns {Promise<{mode: Mode, effective: Mode}>} */
    getMode(options?: CallOptions): Promise<{
        mode: Mode;
        effective: Mode;
    }>;
    /** Products in flight go on and lose nothing.
     * @param {SettableMode} mode
     * @param {CallOptions} [options]
     * @returns {Promise<Mode>} the mode before */
    setMode(mode: SettableMode, options?: CallOptions): Promise<Mode>;
    #private;
}
/** Carries exchanges to a server or worker with fetch. */
export class FetchCaller {
    /** Throws TesseraError(invalid_argument) on what is no URL of a server.
     * @param {string | URL} base "http://127.0.0.1:8080"; in a browser also relative to the page */
    constructor(base: string | URL);
    /** Rejects with TesseraError(invalid_argument) on what cannot be sent, with deadline_exceeded after `timeoutMs`, with the
     * signal's reason when that fires, and with what fetch says. The body is to be read to its end, or left.
     * @param {import('./tessera.mjs').TesseraRequest} request
     * @returns {Promise<{status: number, headers: Headers, body: AsyncIterable<Uint8Array>}>} */
    request(request: import("./tessera.mjs").TesseraRequest): Promise<{
        status: number;
        headers: Headers;
        body: AsyncIterable<Uint8Array>;
    }>;
    #private;
}
export type Elements = Float32Array | Float64Array;
/**
 * row-major
 */
export type DenseMatrix = {
    rows: number;
    cols: number;
    dtype: "float32" | "float64";
    /**
     * rows * cols elements
     */
    data: Elements;
};
/**
 * one that was put, by its name; of the same shape and type
 */
export type NamedMatrix = {
    rows: number;
    cols: number;
    dtype: "float32" | "float64";
    /**
     * SHA-256 of its elements, as putBlock says
     */
    block: Uint8Array;
};
/**
 * C := alpha * op(A) * op(B) + beta * C
 */
export type Product = {
    a: DenseMatrix | NamedMatrix;
    b: DenseMatrix | NamedMatrix;
    /**
     * needed when beta is not 0
     */
    c?: DenseMatrix | undefined;
    /**
     * default 1
     */
    alpha?: number | undefined;
    /**
     * default 0
     */
    beta?: number | undefined;
    transposeA?: boolean | undefined;
    transposeB?: boolean | undefined;
    productId?: string | undefined;
};
export type WorkerStats = {
    worker: string;
    tiles: number;
    failures: number;
    computeMs: number;
    bytesSent: number;
    bytesReceived: number;
    backups: number;
    cacheHits: number;
    cacheBytes: number;
    checked: number;
    rejected: number;
    waitMs: number;
    gflops: number;
};
export type ProductStats = {
    mode: string;
    tiles: number;
    localTiles: number;
    proxiedTiles: number;
    retries: number;
    elapsedMs: number;
    workers: WorkerStats[];
    notes: string[];
    backups: number;
    checked: number;
    rejected: number;
    bytesSent: number;
    bytesReceived: number;
    cacheBytes: number;
    peakBytes: number;
    gflops: number;
};
export type WorkerInfo = {
    url: string;
    available: boolean;
    tiles: number;
    failures: number;
    inFlight: number;
    quarantined: boolean;
    gflops: number;
    megabytesPerSecond: number;
    bytesSent: number;
    bytesReceived: number;
    backups: number;
    rejected: number;
    cacheBytes: number;
    computeMs: number;
    waitMs: number;
};
export type ProductInfo = {
    productId: string;
    m: number;
    n: number;
    k: number;
    tilesDone: number;
    tiles: number;
    elapsedMs: number;
};
export type Description = {
    name: string;
    version: string;
    kernels: {
        name: string;
        dtypes: string[];
    }[];
    cores: number;
    maxConcurrentProducts: number;
    maxMessageBytes: number;
    memoryLimitBytes: number;
    mode: string;
    workers: WorkerInfo[];
    engine: string;
    gflops: number;
    blockBytes: number;
    blockCapacityBytes: number;
    products: ProductInfo[];
    notes: string[];
};
export type BlockInfo = {
    sha256: Uint8Array;
    rows: number;
    cols: number;
    dtype: string;
    bytes: number;
};
export type BlockList = {
    blocks: BlockInfo[];
    usedBytes: number;
    capacityBytes: number;
    awaitsPuts: boolean;
};
export type TileResult = {
    /**
     * where it lies in C
     */
    tile: {
        row: number;
        col: number;
        rows: number;
        cols: number;
        k: number;
        depth: number;
    };
    /**
     * absent in a last message that carries only stats
     */
    c: DenseMatrix | undefined;
    worker: string;
    kernel: string;
    computeMs: number;
    productId: string;
    stats?: ProductStats | undefined;
};
export type CallOptions = import("./connect.mjs").CallOptions;
export type SettableMode = "serial" | "proxy" | "adaptive";
/**
 * as peers tell it; unspecified by one that does not say
 */
export type Mode = SettableMode | "unspecified";
