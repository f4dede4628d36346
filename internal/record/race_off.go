//go:build !race

package record

const poison = false
