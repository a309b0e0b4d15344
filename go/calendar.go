// Limits by the calendar: days, weeks, months and years of a time zone.

package tollbar

// #include <tollbar.h>
import "C"

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Unit is a period of the calendar.
type Unit int

// The units of a [Calendar].
const (
	Day Unit = iota
	Week
	Month
	Year
)

// String is the unit's name: "day", "week", "month" or "year".
func (u Unit) String() string {
	switch u {
	case Day:
		return "day"
	case Week:
		return "week"
	case Month:
		return "month"
	case Year:
		return "year"
	}
	return fmt.Sprintf("Unit(%d)", int(u))
}

// A Calendar lets at most Limit pass in each day, week (from Monday), month or year of a time zone. The count begins anew at local
// midnight, on days of 23 and of 25 hours, too, and a wait is the exact time until then.
//
// The periods of a zone are known from 1970 to the end of 2100; after that the last length repeats. A key reads the wall clock when a
// period begins for it: a later step of the wall clock does not change that period's end. What is reserved counts until it ends, and
// then in the period in which it ends. The wall clock of a [ManualClock] reads 1970-01-01 00:00 UTC when the clock reads 0.
type Calendar struct {
	Limit  uint64
	Per    Unit
	Zone   *time.Location // nil: UTC
	Name   string         // as decisions name it; "": "1000 a month in Europe/Rome"
	Shadow bool           // counts what it would have denied, and denies nothing
}

func (c Calendar) add(d *draft) {
	d.number++
	if c.Per < Day || c.Per > Year {
		d.fail(invalid("Per", "must be Day, Week, Month or Year", c.Per))
	}
	if d.err != nil {
		return
	}
	zone := c.Zone
	if zone == nil {
		zone = time.UTC
	}
	name := c.Name
	if name == "" {
		name = fmt.Sprintf("%d a %s in %s", c.Limit, c.Per, zone)
	}
	moments := beginnings(c.Per, zone)
	first, count := (*C.int64_t)(&moments[0]), C.size_t(len(moments))
	d.do(C.tollbar_policy_add_calendar(d.policy, C.uint64_t(c.Limit), first, count, &d.note[0], C.size_t(len(d.note))))
	d.finish(name, c.Shadow)
}

// A zoned is a unit in a zone.
type zoned struct {
	unit Unit
	zone *time.Location
}

// known has the beginnings that were found last. A zone that is loaded twice is another one, so their number is bounded.
var known = struct {
	sync.Mutex
	of map[zoned][]C.int64_t
}{of: map[zoned][]C.int64_t{}}

const mostKnown = 64

// beginnings is when the periods of a unit begin in a zone, in nanoseconds of Unix time, rising.
func beginnings(unit Unit, zone *time.Location) []C.int64_t {
	key := zoned{unit, zone}
	known.Lock()
	defer known.Unlock()
	if found, ok := known.of[key]; ok {
		return found
	}
	first, last := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC)
	if unit == Week {
		first, last = first.AddDate(0, 0, -3), last.AddDate(0, 0, 7) // from a Monday
	}
	var moments []C.int64_t
	for date := first; !date.After(last); date = unit.after(date) {
		moments = append(moments, C.int64_t(begins(date, zone)*int64(time.Second)))
	}
	// A day that the zone skipped begins and ends at the same moment.
	moments = slices.Compact(moments)
	if len(known.of) >= mostKnown {
		clear(known.of)
	}
	known.of[key] = moments
	return moments
}

// after is the date one unit later.
func (u Unit) after(date time.Time) time.Time {
	switch u {
	case Week:
		return date.AddDate(0, 0, 7)
	case Month:
		return date.AddDate(0, 1, 0)
	case Year:
		return date.AddDate(1, 0, 0)
	default:
		return date.AddDate(0, 0, 1)
	}
}

// begins is the first second of a date in a zone, in Unix time: the first of two midnights, or the end of a gap that midnight is in.
// The date is given as its midnight in UTC.
func begins(date time.Time, zone *time.Location) int64 {
	utc := date.Unix()
	offset := func(second int64) int64 {
		_, east := time.Unix(second, 0).In(zone).Zone()
		return int64(east)
	}
	const day = 24 * 60 * 60
	before, after := utc-offset(utc-day), utc-offset(utc+day)
	for _, midnight := range []int64{min(before, after), max(before, after)} {
		if offset(midnight) == utc-midnight {
			return midnight
		}
	}
	// No clock shows this midnight. The change lies between what it would be by the offsets after and before.
	low, high := min(before, after), max(before, after)
	for high-low > 1 {
		between := low + (high-low)/2
		if between+offset(between) < utc {
			low = between
		} else {
			high = between
		}
	}
	return high
}
