package tollbar

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests need zones on every machine
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	found, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAPeriodEndsAtLocalMidnight(t *testing.T) {
	for _, one := range []struct {
		zone     string
		per      Unit
		now, end string // local times, with the offset that is in force
	}{
		{"Europe/Berlin", Day, "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"},
		{"Europe/Berlin", Day, "2026-10-25T12:00:00+01:00", "2026-10-26T00:00:00+01:00"},
		{"Europe/Berlin", Month, "2024-02-10T12:00:00+01:00", "2024-03-01T00:00:00+01:00"},
		{"Europe/Berlin", Month, "2026-03-31T23:59:59+02:00", "2026-04-01T00:00:00+02:00"},
		{"Europe/Rome", Week, "2026-08-02T23:59:59+02:00", "2026-08-03T00:00:00+02:00"},
		{"Europe/Rome", Year, "2026-08-02T23:59:59+02:00", "2027-01-01T00:00:00+01:00"},
		{"Australia/Sydney", Day, "2026-04-05T00:00:00+11:00", "2026-04-06T00:00:00+10:00"},
		{"America/Sao_Paulo", Day, "2018-11-03T12:00:00-03:00", "2018-11-04T01:00:00-02:00"},
		{"America/Sao_Paulo", Day, "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"},
		{"America/Sao_Paulo", Day, "2018-02-17T00:00:00-02:00", "2018-02-18T00:00:00-03:00"},
		{"America/St_Johns", Day, "2010-11-06T12:00:00-02:30", "2010-11-07T00:00:00-02:30"},
		{"Asia/Beirut", Day, "2024-03-30T12:00:00+02:00", "2024-03-31T01:00:00+03:00"},
		{"Pacific/Apia", Day, "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00"},
		{"UTC", Day, "2150-01-31T00:00:00+00:00", "2150-02-01T00:00:00+00:00"},
	} {
		t.Run(fmt.Sprintf("%s %s", one.zone, one.now), func(t *testing.T) {
			now, end := ok(time.Parse(time.RFC3339, one.now)), ok(time.Parse(time.RFC3339, one.end))
			limiter, clock := made(t, Calendar{Limit: 2, Per: one.per, Zone: zone(t, one.zone)})
			clock.Advance(now.Sub(time.Unix(0, 0)))
			if !ok(limiter.TryAcquire("a", 2)) {
				t.Fatal("the first two are denied")
			}
			denied := ok(limiter.Decide("a", 1))
			if denied.RetryAfter != end.Sub(now) || denied.Reason != ReasonWindow {
				t.Fatalf("%v after %v, not %v", denied.Reason, denied.RetryAfter, end.Sub(now))
			}
			clock.Advance(end.Sub(now) - 1)
			if ok(limiter.TryAcquire("a", 1)) {
				t.Fatal("allowed a nanosecond sooner")
			}
			clock.Advance(1)
			if !ok(limiter.TryAcquire("a", 2)) {
				t.Fatal("denied in the next period")
			}
		})
	}
}

func TestEveryDayBeginsWithItsFirstSecond(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/St_Johns", "Africa/Casablanca", "Pacific/Apia", "Asia/Beirut"} {
		where := zone(t, name)
		days := beginnings(Day, where)
		for at, moment := range days {
			begins := time.Unix(0, int64(moment)).In(where)
			before := begins.Add(-time.Second)
			if begins.YearDay() == before.YearDay() || before.After(begins) {
				t.Fatalf("%s: day %d does not begin at %v", name, at, begins)
			}
			if hour := begins.Hour(); hour > 1 {
				t.Fatalf("%s: day %d begins at %v", name, at, begins)
			}
		}
		if skipped := map[string]int{"Pacific/Apia": 1}[name]; len(days) != 47848-skipped {
			t.Fatalf("%s has %d days", name, len(days))
		}
	}
}

func TestKeptCalendarsAreBounded(t *testing.T) {
	for count := 0; count < 3*mostKnown; count++ {
		beginnings(Year, time.FixedZone("east", count))
		if len(known.of) > mostKnown {
			t.Fatalf("%d are kept", len(known.of))
		}
	}
	if again := beginnings(Year, time.UTC); &again[0] != &beginnings(Year, time.UTC)[0] {
		t.Fatal("a zone is read twice")
	}
}

func TestACalendarIsNamedAfterWhatItSays(t *testing.T) {
	for _, one := range []struct {
		limit Calendar
		name  string
	}{
		{Calendar{Limit: 3}, "3 a day in UTC"},
		{Calendar{Limit: 3, Per: Month, Zone: zone(t, "Europe/Rome")}, "3 a month in Europe/Rome"},
		{Calendar{Limit: 3, Per: Year, Name: "yearly"}, "yearly"},
	} {
		limiter, _ := made(t, one.limit)
		ok(limiter.TryAcquire("a", 3))
		if denied := ok(limiter.Decide("a", 1)); denied.Limit != one.name {
			t.Fatalf("%q, not %q", denied.Limit, one.name)
		}
	}
}

func TestWhatIsNoCalendarIsRefused(t *testing.T) {
	for _, one := range []struct {
		limit Calendar
		words string
	}{
		{Calendar{Limit: 0}, "limit must be at least 1, not 0"},
		{Calendar{Limit: 1, Per: 7}, "Per must be Day, Week, Month or Year, not Unit(7)"},
		{Calendar{Limit: 1, Per: -1}, "Per must be Day, Week, Month or Year, not Unit(-1)"},
	} {
		_, err := New(one.limit)
		if err == nil || !strings.Contains(err.Error(), one.words) {
			t.Fatalf("%v, not %q", err, one.words)
		}
	}
}
