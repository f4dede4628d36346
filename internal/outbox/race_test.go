//go:build race

package outbox

const raceEnabled = true

// seeds is how many random runs the ownership test makes.
const seeds = 6
