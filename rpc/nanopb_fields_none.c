/* SPDX-License-Identifier: Apache-2.0
 *
 * In the place of nanopb_fields.c: no field types of ours.
 */
#include "rpc/nanopb_fields.h"

void tess__nanopb_release_field(const pb_field_iter_t *field) {
  (void)field; /* nanopb's own callbacks own nothing */
}
