//go:build race

package record

// poison overwrites areas before they are used again, so that tests see whoever
// still reads one.
const poison = true
