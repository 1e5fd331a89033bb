import { join } from 'node:path'

/** The tables that the repository carries: SALT2-4 in ZTF g, r, i for z 0 … 0.25. */
export const ownTables = join(import.meta.dirname, 'salt2-4.bin.gz')
