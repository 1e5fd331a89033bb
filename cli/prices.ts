/**
 * Google's list prices in US dollars, for the United States (multi-region US, region us-central1), as
 * its pages had them on the day. Free tiers are left out: a broker shares them with whatever else its
 * billing account has.
 */

export interface Price {
  /** Dollars for one unit. */
  dollars: number
  unit: string
  source: string
  /** False where no page was at hand to check it against. */
  checked: boolean
}

/** The day that the pages were read. */
export const pricesOf = '2026-09-20'

const checked = (dollars: number, unit: string, source: string): Price => ({
  dollars,
  unit,
  source,
  checked: true,
})

export const prices = {
  pubsub: checked(40, 'TiB published, and TiB of each delivery', 'cloud.google.com/pubsub/pricing'),
  pubsubToBigquery: checked(
    50,
    'TiB delivered by a BigQuery subscription',
    'cloud.google.com/pubsub/pricing',
  ),
  objectWrite: checked(
    0.005 / 1000,
    'object written (class A)',
    'cloud.google.com/storage/pricing',
  ),
  objectRead: checked(0.0004 / 1000, 'object read (class B)', 'cloud.google.com/storage/pricing'),
  storage: checked(0.02, 'GiB kept a month (Standard)', 'cloud.google.com/storage/pricing'),
  rows: checked(0.025, 'GiB by the Storage Write API', 'cloud.google.com/bigquery/pricing'),
  table: checked(0.02, 'GiB kept a month (active)', 'cloud.google.com/bigquery/pricing'),
  cpu: checked(0.000024, 'vCPU second, request-based', 'cloud.google.com/run/pricing'),
  memory: checked(0.0000025, 'GiB second, request-based', 'cloud.google.com/run/pricing'),
  requests: checked(0.4 / 1e6, 'request', 'cloud.google.com/run/pricing'),
  machine: {
    ...checked(
      0.0335,
      'vCPU hour of an e2 machine (medium, standard)',
      'cloud.google.com/compute/vm-instance-pricing',
    ),
    checked: false,
  },
} as const satisfies Record<string, Price>
