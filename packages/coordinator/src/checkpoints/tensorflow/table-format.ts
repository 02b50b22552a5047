/** After a block: how it is packed (0 not, 1 Snappy), and the masked CRC-32C of the block and that byte. */
export const trailerBytes = 5;

/** At a table's end: where the meta index and the index lie, padded with zeros, and the magic number. */
export const footerBytes = 48;

/** LevelDB's magic number, little-endian. */
export const tableMagic = Buffer.from('57fb808b247547db', 'hex');
