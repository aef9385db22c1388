/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of wasm/abi.h as data: names and signatures, for whoever loads
 * a module (server/wasm_file.c checks a file against them, the engines look
 * names up).
 *
 * A signature is its result ('v' none, 'i' i32, 'd' f64), then its parameters:
 * "dii" is f64 f(i32, i32).
 */
#ifndef TESSERA_SERVER_ABI_TABLE_H
#define TESSERA_SERVER_ABI_TABLE_H

#include <stddef.h>

/* What the module calls. The order is that of tess_abi_imports. */
typedef enum tess_abi_import {
  TESS_IMPORT_HTTP_POST,
  TESS_IMPORT_HTTP_CANCEL,
  TESS_IMPORT_HTTP_REPLY,
  TESS_IMPORT_HTTP_REPLY_MORE,
  TESS_IMPORT_NOW_MS,
  TESS_IMPORT_LOG,
  TESS_IMPORT_RANDOM,
  TESS_IMPORT_COUNT
} tess_abi_import;

/* What the host calls. The order is that of tess_abi_exports. */
typedef enum tess_abi_export {
  TESS_EXPORT_ABI_VERSION,
  TESS_EXPORT_ALLOC,
  TESS_EXPORT_FREE,
  TESS_EXPORT_CONFIGURE,
  TESS_EXPORT_ON_REQUEST,
  TESS_EXPORT_ON_RESPONSE,
  TESS_EXPORT_ON_CANCEL,
  TESS_EXPORT_ON_WRITABLE,
  TESS_EXPORT_LOOP,
  TESS_EXPORT_STATS,
  TESS_EXPORT_REQUIRED, /* those from here on may be missing */
  TESS_EXPORT_ON_SENT = TESS_EXPORT_REQUIRED,
  TESS_EXPORT_COUNT
} tess_abi_export;

#define TESS_ABI_MAX_ARGUMENTS 9

typedef struct tess_abi_function {
  const char *name;
  const char *signature;
} tess_abi_function;

extern const tess_abi_function tess_abi_imports[TESS_IMPORT_COUNT];
extern const tess_abi_function tess_abi_exports[TESS_EXPORT_COUNT];

/* Number of parameters of a signature. */
size_t tess_abi_arity(const tess_abi_function *function);

#endif
