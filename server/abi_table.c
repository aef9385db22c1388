/* SPDX-License-Identifier: Apache-2.0 */
#include "server/abi_table.h"

#include <string.h>

const tess_abi_function tess_abi_imports[TESS_IMPORT_COUNT] = {
    [TESS_IMPORT_HTTP_POST] = {"http_post", "iiiiiiid"},
    [TESS_IMPORT_HTTP_CANCEL] = {"http_cancel", "vi"},
    [TESS_IMPORT_HTTP_REPLY] = {"http_reply", "iiiiiiii"},
    [TESS_IMPORT_HTTP_REPLY_MORE] = {"http_reply_more", "iiiii"},
    [TESS_IMPORT_NOW_MS] = {"now_ms", "d"},
    [TESS_IMPORT_LOG] = {"log", "viii"},
    [TESS_IMPORT_RANDOM] = {"random", "vii"},
};

const tess_abi_function tess_abi_exports[TESS_EXPORT_COUNT] = {
    [TESS_EXPORT_ABI_VERSION] = {"abi_version", "i"},
    [TESS_EXPORT_ALLOC] = {"alloc", "ii"},
    [TESS_EXPORT_FREE] = {"free", "vi"},
    [TESS_EXPORT_CONFIGURE] = {"configure", "iii"},
    [TESS_EXPORT_ON_REQUEST] = {"on_request", "iiiiiiiiii"},
    [TESS_EXPORT_ON_RESPONSE] = {"on_response", "viiiiii"},
    [TESS_EXPORT_ON_CANCEL] = {"on_cancel", "vi"},
    [TESS_EXPORT_ON_WRITABLE] = {"on_writable", "vi"},
    [TESS_EXPORT_LOOP] = {"loop", "d"},
    [TESS_EXPORT_STATS] = {"stats", "iii"},
    [TESS_EXPORT_ON_SENT] = {"on_sent", "vi"},
};

size_t tess_abi_arity(const tess_abi_function *function) {
  return strlen(function->signature) - 1;
}
