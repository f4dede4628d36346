//go:build !race

package outbox

const raceEnabled = false

// seeds is how many random runs the ownership test makes.
const seeds = 30
