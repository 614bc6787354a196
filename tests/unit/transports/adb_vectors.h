/* SPDX-License-Identifier: Apache-2.0
 *
 * A key of no other use: made by `adb keygen`, its public half as adb wrote it, and the
 * signature of a token by `openssl pkeyutl -sign -pkeyopt digest:sha1`.
 */
#pragma once

static const char vector_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCl7LUqIyB+9jSX\n"
	"C6j/Tb+zL9yBYc0MBB/N2ubx5LNOnHMLqszz4K+wb+AWcAhyw3Uabjr6lEo6NA7k\n"
	"sl+Ce1Ft5kM32/EPpLdH1eOXEzE7isTl+eC13R0IK89nZeg4NH6IICE+DDe7/c2i\n"
	"NNLx2hrH4g69eUz+Dl4kwVUPYvl4OIoitmWuiB93PoqEPBKnlA5WzT/Z2rsb6Ryd\n"
	"XY3CGM7Dq8dMA1Ofm2CuFXXr0WLJaBwmZQEaCfhcY5zrNb3tPU0BrO7Tag9NvPaw\n"
	"7Y/dE31nMA4RQ3QnBbZha5gfJ+G1zJPc9M2NVqFiVu8oHsDwAjFjkZbmCofE6fG6\n"
	"dG6bTIzFAgMBAAECggEATMo0e+he4TNb2m3MjD900V58rCpRpdaAy5ocGOYRr/eK\n"
	"7OLi0JlzZfIY4Pl/h3F7EDzksdSQV8iA/gmpVy9wW67d/Auf0HAYXLgaCPCab+aE\n"
	"wrR28WQATChOaBmLM/vjdWd9SwSHhMrs8L2GxOR+UXSHAtyRK+EFY/hPv/u73g14\n"
	"+1o0ZJux9KzbVqEdqN1DpKX557H5q2KiWx3+98ClTeJGaiEHGaOztDeM6V22sy4u\n"
	"imNva2kSKO8KAONAy89UOQPWw2J3IaiVZYnSUaosoBkwJoJAQBfPHvhFOCHgbfTp\n"
	"rVMQigga+cgekiU4gTTYEyFHX9gcw/+vuuPphxD/jwKBgQDjajOMG1cGQKbkrt2q\n"
	"6ELYuVO63ClVl/eqepgWSez0UBa7Mo0OUW0DThyOKuHQh7HgeCOTpmaED4LLXGh6\n"
	"nh1P946s2Y34u6OoRlBkp5kM6tkrhyrRjDM/pNMCPkQc8JPz9OkbBx1SliUsyZVM\n"
	"9Qvn2zTiTCORUdABwMhRe0XUgwKBgQC6x9zQQiaqaeYLvPbBXfvX+5z0spMqE07w\n"
	"A1hPp3lqWcrEfx9Mp9CoN1WGPSFaGHKu4vp5shwc2qHWVNo4tjF2wlUfMhd0BoGe\n"
	"wCwCno+Imgi7zyoYl/59t/85BMGUmkyTlN5EsYad+1H8WizOaSxWPFDZ2O9RVZgh\n"
	"n/8jUPenFwKBgGRAnibGqq+D8s7fU7MTHtzhnkrC4antC25pCwDQaBgv8kVl/I7y\n"
	"UGdjmO0HdHL0TvMQo0Zk1c6j89noi9p6N5vYG1qRsaeUOIpnLOuigrMSGNi6hqLH\n"
	"9pO4+piDkI1ddSvXrKeQlFmi/RJob1v0ruHwXbjhLdDTSypqrSRWfqs3AoGAFA+p\n"
	"YNjqDD2pjrMyEZzFkvIcbo/LjKZcQR0q3AtR2CFizO4Wb4ZKu/aNggiIz4N2td/9\n"
	"JRsDN/onjby5X4P6FhZTTDF2IWkdfO6JC5L6OaLJs1pR3ChfFiOwDvC61foopWVE\n"
	"5j3nBorayG7rBxR2xaBe0rchJSw7Vck4fxOQNesCgYEA11wc02RYUjly/H63aEbo\n"
	"aNrO05ZYkZf+dyGO1O/FU5/rf2zaQkivIoXcVq/KIz+cVgXxg0rE0DMvMFExNK+f\n"
	"DAO26H1uA6a69/NmTywWwyIkDkeNKpZTJwsBWUmWfrTOWQHXOzpN3ISBOhE6bjOn\n"
	"miY4+lBNt6lMBM1pZJddtok=\n"
	"-----END PRIVATE KEY-----\n";

static const char vector_public[] =
	"QAAAAPPtNKDFjEybbnS68enEhwrmlpFjMQLwwB4o71ZioVaNzfTck8y14ScfmGthtgUndEMRDjBn"
	"fRPdj+2w9rxND2rT7qwBTT3tvTXrnGNc+AkaAWUmHGjJYtHrdRWuYJufUwNMx6vDzhjCjV2dHOkb"
	"u9rZP81WDpSnEjyEij53H4iuZbYiijh4+WIPVcEkXg7+THm9DuLHGtrx0jSizf27Nww+ISCIfjQ4"
	"6GVnzysIHd214PnlxIo7MROX49VHt6QP8ds3Q+ZtUXuCX7LkDjQ6SpT6Om4adcNyCHAW4G+wr+Dz"
	"zKoLc5xOs+Tx5trNHwQMzWGB3C+zv03/qAuXNPZ+ICMqteylUaJSx1iTKREb5GMfUoxSIviVy5Ek"
	"K7poHazumCgvy9NHE9S7xXZg/Qz6M3VYOEkwYzqkINVPS2s45uF352XfaZOBHTL1iELuge8FB++Z"
	"1HHjUV01fPPmQK/1RXKxc2IDJcRJrCaH89ZILEIkpNEMHJo5KwO7oeIxiTSIyMDgMRzG/vuPzSrV"
	"FIBDCMG2gcLInVLqJQNd8WL1erxPSuiRuMA/InjPCs1fbGDUMlcfZphOwhrCgLrxsV5W4WhUoQzr"
	"odZVQmyNmT2w7CbpOd8Ap2UddpZ2xL3C3sO9j1Vj/51Ce1lrFLUF4VLnyokHxHN9Bm/sDNnH/QvF"
	"YLZlmFRAZAEAAQA=";

static const char vector_token[] = "ABCDEFGHIJKLMNOPQRST";

static const char vector_signature[] =
	"0b3d94b8df7ad7a24b4172da26e17c720526cc4bc2045b059ad72aba916516afff10253130ae"
	"6c502e116a9ba67ba81eee738121072efabf78e6dd27147fa470efc797d0aba19fc12e3f0008"
	"12b469886b9284597fb301c64af303c3969bceccdb2ea10736bf3c367e08d9159ad3247db78f"
	"4622bf7bb1b31049bb40f257c80e0c34951026b64f6dc848fde5972cf84e45429c3fcc37f979"
	"2d1548689bc2807e0e33bb60bf2a2c26d3157ef29cba993bca066d26e03d734790bb1f39ff50"
	"755b557b52b46f850418acbd2bf4a1e0c979f7a4985978afb7e388fb0cf3bb80612c0d31664e"
	"634fa9e8fa4d1bbc98235272d3a8aeb0ffbb4209a44e57bb822361a9";
