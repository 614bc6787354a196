/* SPDX-License-Identifier: Apache-2.0
 *
 * A struct response on its way to a connection. Only api/httpd*.c sees this.
 */
#pragma once

#include <microhttpd.h>

#include "api/http.h"

/* Queues the answer; what it holds is given away or stays in rs for answer_drop(). HTTP thread. */
enum MHD_Result answer_send(struct response *rs, struct request *rq, struct MHD_Connection *c);
/* What a handler made and nobody sent: the client left. */
void answer_drop(struct response *rs);
