//go:build !linux

package journal

// favour does nothing where threads have no priority of their own.
func favour() {}
