/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 (RFC 4648): written without padding; read with or without it.
 */
#ifndef TESSERA_RPC_BASE64_H
#define TESSERA_RPC_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum tess__base64_alphabet {
  TESS__BASE64_STANDARD,
  TESS__BASE64_URL
} tess__base64_alphabet;

/* Length of the unpadded text of `size` bytes; SIZE_MAX: too large. */
size_t tess__base64_encoded_size(size_t size);
/* Writes exactly that many characters, no NUL. */
void tess__base64_encode(tess__base64_alphabet alphabet, const uint8_t *data, size_t size,
                         char *text);

/* Room for what `size` characters decode to. */
size_t tess__base64_decoded_room(size_t size);
/* False: not base64 (a stray character, a wrong length, wrong padding, bits that
 * do not belong to any byte). `out` may be `text` itself. */
bool tess__base64_decode(tess__base64_alphabet alphabet, const char *text, size_t size,
                         uint8_t *out, size_t *out_size);

#endif
