/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's methods over protobuf-c.
 */
#include "tests/conformance/call.h"

#include "connectrpc/conformance/v1/service.rpc.pb-c.h"

const tess_service *const conf_service = &connectrpc_conformance_v1_conformance_service_pb_c;
