module github.com/tollbar/tollbar/go

go 1.21
