/* SPDX-License-Identifier: Apache-2.0
 *
 * ConformanceService over nanopb.
 */
#include "connectrpc/conformance/v1/service.rpc.pb.h"

#define MESSAGE(name) connectrpc_conformance_v1_##name

#include "tests/conformance/service.inc"
