/* SPDX-License-Identifier: Apache-2.0
 *
 * The page with its scripts and the module, compiled in (web/CMakeLists.txt):
 * a table for tess_http_server_options.static_files. Constant; any thread.
 */
#ifndef TESSERA_WEB_ASSETS_H
#define TESSERA_WEB_ASSETS_H

#include <tessera/http_server.h>

/* Ends with path == NULL. */
extern const tess_static_file tessera_web_assets[];

#endif
