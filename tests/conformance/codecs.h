/* SPDX-License-Identifier: Apache-2.0
 *
 * The suite's codecs and compressions, for native programs.
 */
#ifndef TESSERA_CONFORMANCE_CODECS_H
#define TESSERA_CONFORMANCE_CODECS_H

#include <tessera/compression.h>
#include <tessera/json.h>

/* The JSON codec that knows the suite's messages. Called once before there are
 * threads. */
const tess_codec *conf_json_codec(void);
/* By the suite's number; NULL: identity. */
const tess_compressor *conf_compressor(int compression);

#endif
