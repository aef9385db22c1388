/* SPDX-License-Identifier: Apache-2.0
 *
 * Generated headers are C++ headers too: this file compiles or the test fails
 * to build. HEADERS_NANOPB chooses
 * the runtime.
 */
#ifdef HEADERS_NANOPB
#include "nasty/odd-file.name.rpc.pb.h"
#include "nasty/two.rpc.pb.h"
#include "nasty/v1/services.rpc.pb.h"
#include "nopackage.rpc.pb.h"
#include "tessera/matmul/v1/matmul.rpc.pb.h"
#else
#include "nasty/odd-file.name.rpc.pb-c.h"
#include "nasty/two.rpc.pb-c.h"
#include "nasty/v1/services.rpc.pb-c.h"
#include "nopackage.rpc.pb-c.h"
#include "protobuf_c_only/renamed.rpc.pb-c.h"
#include "tessera/matmul/v1/matmul.rpc.pb-c.h"
#endif
#include "nasty/v1/services.schema.h"
