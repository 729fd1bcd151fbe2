/** Loaded into the service (`--expose-gc --import`): SIGUSR2 collects garbage, so that what is left is what is held. */
process.on('SIGUSR2', () => {
  for (let round = 0; round < 3; round += 1) globalThis.gc?.()
})
