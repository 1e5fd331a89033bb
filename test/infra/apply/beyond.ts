/**
 * What of a stack the emulators cannot take, each with the reason. The applier fails on a resource that it
 * neither applies nor finds here, so that nothing is left out in silence: a new kind of resource is given
 * an applier in `data-plane.ts` or a line in this file. docs/cloud-fidelity.md says the same to people.
 */

/** Kinds of resources, by prefix of their type. */
export const kindsBeyond: Readonly<Record<string, string>> = {
  google_project_service: 'emulators are always switched on',
  google_project_iam_: 'emulators ask nobody who he is',
  google_service_account: 'emulators ask nobody who he is',
  google_pubsub_topic_iam_: 'emulators ask nobody who he is',
  google_pubsub_subscription_iam_: 'emulators ask nobody who he is',
  google_storage_bucket_iam_: 'emulators ask nobody who he is',
  google_bigquery_dataset_iam_: 'emulators ask nobody who he is',
  google_bigquery_table_iam_: 'emulators ask nobody who he is',
  google_cloud_run_service_iam_: 'emulators ask nobody who he is',
  google_cloudfunctions2_function: 'the test serves the same bundles at the same addresses itself',
  google_cloud_run_: 'there is no emulator of Cloud Run',
  google_cloud_scheduler_: 'there is no emulator of schedules',
  google_compute_: 'there is no emulator of machines and networks',
  google_secret_manager_: 'there is no emulator of secrets',
  google_artifact_registry_: 'there is no emulator of registries',
  google_monitoring_: 'there is no emulator of monitoring',
  google_logging_: 'there is no emulator of logs',
  google_billing_: 'there is no emulator of bills',
}

/** Arguments that an emulator takes and forgets, by kind: asked for and not there when read back. */
export const forgotten: Readonly<Record<string, readonly string[]>> = {
  // The view is there; its text is not told.
  google_bigquery_table: ['view'],
  google_storage_bucket: [
    'iamConfiguration.publicAccessPrevention',
    'iamConfiguration.uniformBucketLevelAccess.enabled',
    'labels',
    'lifecycle.rule',
    'softDeletePolicy.retentionDurationSeconds',
  ],
}

/** Single things that an emulator cannot take, by a pattern of their address. */
export const thingsBeyond: readonly { address: RegExp; reason: string }[] = [
  {
    address: /^google_bigquery_routine\.routine-\w+-(cone_search|latest_per_object|light_curve)$/,
    reason:
      'bqemulator binds a table function to tables alone, not to a view: its query is run instead',
  },
]

/** What an emulator keeps and does not do. */
export const inert: readonly string[] = [
  'Pub/Sub: a filter drops nothing',
  'Pub/Sub: a BigQuery subscription writes nothing: the broker pulls it into the table',
  'Pub/Sub: a push carries no token',
  'Pub/Sub: retention, storage policy and expiry',
  'BigQuery: partitions and clusters',
]
