/* SPDX-License-Identifier: Apache-2.0
 *
 * The dashboard's files.
 */
#include "api/router.h"

const struct route routes_web[] = {
	{0},
};
