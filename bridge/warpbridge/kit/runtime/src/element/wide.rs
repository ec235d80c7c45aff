//! The numbers of a vector, each in a register of its own. Nothing here is a loop: an array that one goes over would be put in
//! local memory.

/// Four or eight numbers.
pub trait Wide: Copy {
    /// How many.
    const COUNT: u32;

    /// That of each place.
    fn of(number: impl Fn(u32) -> f32) -> Self;

    /// Applies `f` to each.
    fn map(self, f: impl Fn(f32) -> f32) -> Self;

    /// Applies `f` to each and its partner, the first two at place 0.
    fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self;

    /// The same with two partners.
    fn with_two(self, second: Self, third: Self, f: impl Fn(f32, f32, f32) -> f32) -> Self;

    /// Goes over them, first to last.
    fn fold<A>(self, start: A, f: impl Fn(A, f32) -> A) -> A;

    /// Goes over them and their places.
    fn each(self, f: impl Fn(u32, f32));

    /// What `pack` makes of four neighbours. The second word counts only where there are eight.
    fn pack(self, pack: impl Fn([f32; 4]) -> u32) -> [u32; 2];
}

impl Wide for [f32; 4] {
    const COUNT: u32 = 4;

    #[inline(always)]
    fn of(number: impl Fn(u32) -> f32) -> Self {
        [number(0), number(1), number(2), number(3)]
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        let [a, b, c, d] = self;
        [f(a), f(b), f(c), f(d)]
    }

    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let ([a, b, c, d], [p, q, r, s]) = (self, other);
        [f(a, p), f(b, q), f(c, r), f(d, s)]
    }

    #[inline(always)]
    fn with_two(self, second: Self, third: Self, f: impl Fn(f32, f32, f32) -> f32) -> Self {
        let ([a, b, c, d], [p, q, r, s], [w, x, y, z]) = (self, second, third);
        [f(a, p, w), f(b, q, x), f(c, r, y), f(d, s, z)]
    }

    #[inline(always)]
    fn fold<A>(self, start: A, f: impl Fn(A, f32) -> A) -> A {
        let [a, b, c, d] = self;
        f(f(f(f(start, a), b), c), d)
    }

    #[inline(always)]
    fn each(self, f: impl Fn(u32, f32)) {
        let [a, b, c, d] = self;
        f(0, a);
        f(1, b);
        f(2, c);
        f(3, d);
    }

    #[inline(always)]
    fn pack(self, pack: impl Fn([f32; 4]) -> u32) -> [u32; 2] {
        [pack(self), 0]
    }
}

impl Wide for [f32; 8] {
    const COUNT: u32 = 8;

    #[inline(always)]
    fn of(number: impl Fn(u32) -> f32) -> Self {
        let half = |first: u32| <[f32; 4]>::of(|place| number(first + place));
        whole(half(0), half(4))
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        let (low, high) = halves(self);
        whole(low.map(&f), high.map(&f))
    }

    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let ((low, high), (others, more)) = (halves(self), halves(other));
        whole(low.with(others, &f), high.with(more, &f))
    }

    #[inline(always)]
    fn with_two(self, second: Self, third: Self, f: impl Fn(f32, f32, f32) -> f32) -> Self {
        let ((a, b), (p, q), (w, x)) = (halves(self), halves(second), halves(third));
        whole(a.with_two(p, w, &f), b.with_two(q, x, &f))
    }

    #[inline(always)]
    fn fold<A>(self, start: A, f: impl Fn(A, f32) -> A) -> A {
        let (low, high) = halves(self);
        high.fold(low.fold(start, &f), &f)
    }

    #[inline(always)]
    fn each(self, f: impl Fn(u32, f32)) {
        let (low, high) = halves(self);
        low.each(&f);
        high.each(|place, number| f(4 + place, number));
    }

    #[inline(always)]
    fn pack(self, pack: impl Fn([f32; 4]) -> u32) -> [u32; 2] {
        let (low, high) = halves(self);
        [pack(low), pack(high)]
    }
}

#[inline(always)]
fn halves([a, b, c, d, e, f, g, h]: [f32; 8]) -> ([f32; 4], [f32; 4]) {
    ([a, b, c, d], [e, f, g, h])
}

#[inline(always)]
fn whole([a, b, c, d]: [f32; 4], [e, f, g, h]: [f32; 4]) -> [f32; 8] {
    [a, b, c, d, e, f, g, h]
}
