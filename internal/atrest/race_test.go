//go:build race

package atrest

const raceEnabled = true
