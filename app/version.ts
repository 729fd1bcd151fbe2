import manifest from '../package.json' with { type: 'json' }

/** The release of this service. */
export const VERSION: string = manifest.version
