import manifest from '../../package.json' with { type: 'json' }

/** The release of this operator. */
export const VERSION: string = manifest.version
