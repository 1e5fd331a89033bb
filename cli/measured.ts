/** What `bench/functions.bench.ts --write` has measured, for the calculator. Written by it: do not edit. */
import type { ReaderName } from '../core/pipeline.ts'

export interface Measured {
  /** The day, and on what. */
  on: string
  machine: string
  alerts: number
  /** Mean bytes of an alert as it came. */
  alertBytes: number
  /** CPU milliseconds of a message in the handler of a stage, services in memory. */
  handlerMs: Readonly<Record<string, number>>
  readers: Readonly<
    Record<
      ReaderName,
      {
        /** CPU milliseconds of a message of the whole process that serves the function. */
        cpuMs: number
        /** Most memory that it came to. */
        rssMb: number
        /** From the start of Node to the first answer on one processor, and the CPU of it; medians. */
        coldStartMs: number
        coldStartCpuMs: number
      }
    >
  >
  /** Of a transient: requests to Cloud Storage, and how many come to a fit. */
  salt2: { classA: number; classB: number; fitted: number }
}

export const measured: Measured = {
  on: '2026-11-21',
  machine: '2 × AMD EPYC, Node 24.21.0',
  alerts: 1500,
  alertBytes: 69301,
  handlerMs: {
    intake: 0.013,
    archive: 0.283,
    warehouse: 0.182,
    exgalac: 0.122,
    salt2: 18.8,
    filter: 0.155,
    ledger: 0.007,
  },
  readers: {
    packets: { cpuMs: 5.06, rssMb: 315, coldStartMs: 1390, coldStartCpuMs: 690 },
    salt2: { cpuMs: 55.5, rssMb: 280, coldStartMs: 945, coldStartCpuMs: 690 },
  },
  salt2: { classA: 3.89, classB: 13.4, fitted: 0.943 },
}
