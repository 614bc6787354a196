/* SPDX-License-Identifier: Apache-2.0
 *
 * Instead of the dashboard, where the option `web` is off.
 */
#include "api/web_assets.h"

const struct web_asset web_assets[1] = {{0}};
const size_t web_asset_count = 0;
