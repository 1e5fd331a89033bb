/** CRC-32C (Castagnoli), unsigned: the checksum that Cloud Storage keeps of an object. */
export { crc32c } from '@node-rs/crc32'
