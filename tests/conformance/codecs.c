/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/codecs.h"

#include <tessera/compressors.h>

#include "connectrpc/conformance/v1/service.schema.h"

const tess_codec *conf_json_codec(void) {
  static const tess_file_schema *const registry[] = {&tess_file_connectrpc_conformance_v1_service};
  static tess_json_codec codec;
  if (codec.codec.name == NULL)
    tess_json_codec_init(&codec, &(tess_json_options){.registry = registry, .registry_count = 1});
  return &codec.codec;
}

const tess_compressor *conf_compressor(int compression) {
  /* In the order of the suite's enum Compression, from 2 on. */
  static const tess_compressor *const compressors[] = {
      &tess_compressor_gzip, &tess_compressor_br, &tess_compressor_zstd, &tess_compressor_deflate,
      &tess_compressor_snappy};
  const int count = (int)(sizeof compressors / sizeof compressors[0]);
  return compression >= 2 && compression - 2 < count ? compressors[compression - 2] : NULL;
}
