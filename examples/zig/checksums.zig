//! Prints checksum and size of files, so that a change of one of them can be seen downstream.
//!
//!     checksums DIRECTORY FILE...
//!
//! The directory is one of those the program was given, under the name it was given by.

const std = @import("std");
const Io = std.Io;
const Crc32 = std.hash.Crc32;

pub fn main(init: std.process.Init) !void {
    const arena = init.arena.allocator();
    const args = try init.minimal.args.toSlice(arena);
    if (args.len < 3) std.process.fatal("usage: checksums DIRECTORY FILE...", .{});
    const directory = granted(init.preopens, args[1]) orelse
        std.process.fatal("{s}: no such directory was given", .{args[1]});

    var buffer: [4096]u8 = undefined;
    var writer: Io.File.Writer = .initStreaming(.stdout(), init.io, &buffer);
    const out = &writer.interface;
    for (args[2..]) |name| {
        const sum = checksum(init.io, directory, name) catch |err| {
            try out.print("{s} unreadable: {t}\n", .{ name, err });
            continue;
        };
        try out.print("{s} crc32={x:0>8} bytes={d}\n", .{ name, sum.crc32, sum.bytes });
    }
    try out.flush();
}

fn granted(preopens: std.process.Preopens, name: []const u8) ?Io.Dir {
    return switch (preopens.get(name) orelse return null) {
        .dir => |dir| dir,
        .file => null,
    };
}

const Sum = struct { crc32: u32, bytes: u64 };

fn checksum(io: Io, directory: Io.Dir, name: []const u8) !Sum {
    const file = try directory.openFile(io, name, .{});
    defer file.close(io);
    var buffer: [4096]u8 = undefined;
    var reader = file.readerStreaming(io, &buffer);
    var crc: Crc32 = .init();
    var bytes: u64 = 0;
    while (true) {
        const block = reader.interface.peekGreedy(1) catch |err| switch (err) {
            error.EndOfStream => return .{ .crc32 = crc.final(), .bytes = bytes },
            error.ReadFailed => return reader.err orelse err,
        };
        crc.update(block);
        bytes += block.len;
        reader.interface.toss(block.len);
    }
}
