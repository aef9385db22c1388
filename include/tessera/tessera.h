/* SPDX-License-Identifier: Apache-2.0
 *
 * All of the RPC library's core.
 */
#ifndef TESSERA_TESSERA_H
#define TESSERA_TESSERA_H

#include <tessera/client.h>
#include <tessera/server.h>
#include <tessera/version.h>

#endif
