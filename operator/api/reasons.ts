/**
 * Why something is in its state: one closed list for conditions, events, logs and metrics.
 * The value is what the reason means, for the documentation.
 */
export const REASONS = {
  // the whole instance
  Ready: 'Everything in the spec exists and works.',
  Reconciling: 'A change is in progress.',
  Stalled: 'The operator cannot continue without your help; the message says what to do.',
  Paused: '`paused` is `true`: the operator changes nothing until you set it to `false`.',
  Deleting: 'The instance is being deleted.',
  Stopping: '`stopped` is `true`, and something still runs; the message says what.',
  Stopped: '`stopped` is `true`: no pod of the service or of a managed database runs; the data stays.',
  DataRetained: 'The instance was deleted and its data was kept; the message names the claim.',
  InvalidSpec: 'The API server rejects an object that the operator builds from the spec.',
  ReconcileFailed: 'A step failed; the operator retries it.',
  ForeignObject: 'A child cannot be created, because its name is taken by an object that the operator does not own.',
  RolloutPending:
    'The operator is going to change the instance, usually because of a new release; it waits until other instances are done.',
  FieldsContested: 'Another program changes a child again each time the operator restores it; the message names it.',
  // database
  DatabaseReachable: 'The database accepts connections.',
  DatabaseStarting: 'The database is being created or started.',
  DatabaseUnreachable: 'The database does not answer.',
  DatabaseOutOfDisk: "The database's volume is full.",
  DatabaseClaimed: 'The database belongs to another instance.',
  DatabaseUnsuitable:
    'The database cannot be used: it is too old, a standby, read-only, or an address of it does not lead where it should.',
  ConnectionsExceeded: 'The connection pools of all replicas need more connections than the database accepts.',
  ParameterRefused: 'A PostgreSQL parameter is owned by the operator, or PostgreSQL rejects it.',
  SettingsTrialRunning: 'A Job tries the new PostgreSQL settings on an empty data directory.',
  SettingsTrialFailed: 'The Job that tries the new PostgreSQL settings ended without a result.',
  ProvisioningRunning:
    'A Job brings a managed PostgreSQL to the roles, grants and extensions that this version of the operator needs.',
  ProvisioningFailed: 'That Job failed; migrations wait for it, and the pods keep serving.',
  RestartPending:
    'The managed PostgreSQL is about to restart, or waits for its turn or for the maintenance window; the message says why it restarts. Until then it accepts connections.',
  SecretMissing: 'A Secret or ConfigMap, or a key in one, does not exist.',
  SecretInvalid: 'A Secret has a value that cannot be used.',
  CredentialsRejected: 'The database rejects the user name or the password.',
  ProbeRunning: 'A Job is checking the external database.',
  ProbeFailed: 'The Job that checks the external database failed.',
  VolumeGrowing: 'The volume is being expanded.',
  VolumePending: 'The claim is not bound to a volume yet.',
  VolumeNotGrown: 'The volume cannot be expanded; usually its storage class does not allow it.',
  // schema
  SchemaUpToDate: 'The schema is at the version that the image needs.',
  MigrationPending: 'A migration is due and has not started.',
  MigrationRunning: 'A migration is running.',
  MigrationFailed: 'A migration failed; the old pods keep serving.',
  MigrationTimedOut: 'A migration was stopped at its deadline.',
  MigrationBlocked: 'A migration cannot start until you act; the message says why.',
  ContractPending: 'Contract migrations are waiting for approval.',
  SchemaTooNew: 'The schema is newer than the image supports.',
  SchemaDriftFree: 'The schema matches the applied migrations.',
  SchemaDrifted: 'The schema was changed outside the migrations.',
  DriftUnknown: 'It is not known whether the schema has drifted: the service has not compared it yet.',
  // service
  ApiAvailable: 'All replicas are serving.',
  ApiRollingOut: 'Some replicas are serving; others are being started or replaced.',
  ApiUnavailable: 'No replica is serving.',
  ApiDegraded: 'Some replicas are serving; others have a problem that the message describes.',
  PodsNotCreated:
    'The pods of the service, of PostgreSQL or of a Job cannot be created, for instance because of a quota or of Pod Security.',
  PodsUnschedulable: 'A pod cannot be scheduled on any node.',
  ImagePullFailed: 'An image cannot be pulled.',
  NodeUnresponsive: 'A pod of a run is on a node that does not respond; the message names both.',
  PodCrashing: 'A pod crashes repeatedly.',
  PodNotReady: 'A pod does not start, or runs but does not become ready; the message has its last error.',
  VolumeNotMounted: 'A volume of a pod cannot be mounted, for instance because a Secret does not exist.',
  ScaledToZero: '`api.replicas` is 0: the service is off.',
  // backups and restores
  InstanceNotFound: 'The StorageInstance that `instanceRef` names does not exist.',
  NotImplemented: 'This version of the operator does not do what the object asks for.',
  // the operator itself
  Elected: 'This replica became the leader.',
  LeaseLost: 'The lease expired or was taken over; this replica exits.',
  LeaseNotRenewed: 'The lease could not be read or renewed; the operator retries.',
  WatchEnded: 'A watch ended and is being resumed.',
  EventNotWritten: 'An event could not be written and was dropped.',
} as const
export type Reason = keyof typeof REASONS

/** Reasons that no code emits yet. Move one to the list above with the code that emits it. */
export const RESERVED_REASONS = {
  // backups
  BackupRunning: 'A backup is running.',
  BackupSucceeded: 'The latest backup succeeded.',
  BackupFailed: 'The latest backup failed.',
  BackupOverdue: 'A scheduled backup is late.',
  BackupSuspended: 'Backups are suspended.',
  NoBackup: 'There is no backup yet.',
  ArchivingHealthy: 'The write-ahead log is archived continuously.',
  ArchivingFailed: 'The write-ahead log is not being archived.',
  BackupVerified: 'The latest verified backup can be restored.',
  VerificationRunning: 'A backup is being verified.',
  VerificationFailed: 'A backup could not be restored, or its content was wrong.',
  RetentionHealthy: 'Expired backups were removed, and the promised ones exist.',
  RetentionFailed: 'Expired backups could not be removed.',
  RestoreRunning: 'A restore is running.',
  RestoreSucceeded: 'A restore succeeded.',
  RestoreFailed: 'A restore failed.',
  // maintenance
  MaintenanceHealthy: 'Maintenance works.',
  MaintenanceRunning: 'Maintenance is running.',
  MaintenanceBlocked: 'Maintenance is blocked; the message says by what.',
  MaintenanceFailed: 'Maintenance failed.',
  MaintenanceSuspended: 'Maintenance is suspended.',
} as const
