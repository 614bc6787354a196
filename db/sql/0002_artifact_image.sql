-- SPDX-License-Identifier: Apache-2.0
-- What the reader of its format said of a firmware file when it was uploaded: segments, payload
-- digest, entry point, notes. NULL for files that are not firmware of addresses, and for those that
-- came before. Formats have their short names.

ALTER TABLE artifacts ADD COLUMN image TEXT;

UPDATE artifacts SET format = CASE format
	WHEN 'a raw binary' THEN 'bin'
	WHEN 'an ELF file' THEN 'elf'
	WHEN 'an Intel HEX file' THEN 'ihex'
	WHEN 'a Motorola S-record file' THEN 'srec'
	WHEN 'a UF2 file' THEN 'uf2'
	WHEN 'a DFU file' THEN 'dfu'
	WHEN 'an Android sparse image' THEN 'sparse'
	WHEN 'an Android boot image' THEN 'bootimg'
	WHEN 'a zip archive' THEN 'zip'
	ELSE format END;
