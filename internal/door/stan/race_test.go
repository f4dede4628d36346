//go:build race

package stan

const raceEnabled = true
