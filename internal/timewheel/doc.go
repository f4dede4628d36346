// Package timewheel keeps the deadlines of many items: setting and clearing one
// takes constant time, whatever their number, and allocates nothing. It is a
// hierarchy of wheels of 64 slots, each slot of one level as long as the whole
// level below.
//
// It owns no timer and reads no clock: the owner passes the time, asks Next when
// to come back, and calls Advance then. A Wheel and the timers in it belong to one
// goroutine at a time. There is no lock. Anyone may use it.
package timewheel
