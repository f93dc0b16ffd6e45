//! Amounts of money, exact to the last digit.

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr};

use crate::{
    Violation,
    ids::{NameRule, parsed_name},
    text::text_serde,
};

fn capital(c: char) -> bool {
    c.is_ascii_uppercase()
}

parsed_name! {
    /// A currency by its three letters, as in ISO 4217: `USD`, `EUR`.
    Currency, NameRule {
        field: "currency",
        rule: "use the three capital letters of ISO 4217, such as USD or EUR",
        pattern: "^[A-Z]{3}$",
        longest: 3,
        first: capital,
        rest: capital,
    }
}

impl Currency {
    pub(super) fn us_dollar() -> Self {
        Self("USD".to_owned())
    }
}

/// An amount of a currency, never below zero: `0.0123 USD`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

const RULE: &str = "write an amount and a currency, such as `12.50 USD`";

impl Money {
    /// An amount of a currency; `None` below zero.
    #[must_use]
    pub fn new(amount: Decimal, currency: Currency) -> Option<Self> {
        (!amount.is_sign_negative() || amount.is_zero()).then(|| Self { amount: amount.normalize(), currency })
    }

    /// The amount.
    #[must_use]
    pub const fn amount(&self) -> Decimal {
        self.amount
    }

    /// The currency.
    #[must_use]
    pub const fn currency(&self) -> &Currency {
        &self.currency
    }

    /// The sum; none of two currencies, or when it is too large.
    #[must_use]
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        Self::new(self.amount.checked_add(other.amount)?, self.currency.clone())
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.amount, self.currency))
    }
}

impl FromStr for Money {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || Violation::new("amount", text, RULE);
        let (amount, currency) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let currency = Currency::new(currency.trim()).map_err(|_| wrong())?;
        let amount = Decimal::from_str_exact(amount).map_err(|_| wrong())?;
        Self::new(amount, currency).ok_or_else(wrong)
    }
}

text_serde!(Money, "An amount and a currency, such as `12.50 USD`.");

/// A price, or a factor, without its currency: a decimal number, never below zero. Read from a number or, to be exact in
/// every format, from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(Decimal);

impl Rate {
    /// A rate; `None` below zero.
    #[must_use]
    pub fn new(rate: Decimal) -> Option<Self> {
        (!rate.is_sign_negative() || rate.is_zero()).then_some(Self(rate))
    }

    /// The number.
    #[must_use]
    pub const fn decimal(self) -> Decimal {
        self.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl FromStr for Rate {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || Violation::new("rate", text, "write a decimal number that is not below zero, such as 0.0123");
        let number = Decimal::from_str_exact(text.trim()).or_else(|_| Decimal::from_scientific(text.trim()));
        number.ok().and_then(Self::new).ok_or_else(wrong)
    }
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Whole(i64),
            Number(f64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Whole(number) => number.to_string(),
            // The shortest text that means this number is what its author wrote.
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A decimal number that is not below zero, as a number or as text",
            "anyOf": [
                { "type": "number", "minimum": 0 },
                { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?$" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_and_written_exactly() {
        for (text, shown) in [("0.10 USD", "0.1 USD"), ("12 EUR", "12 EUR"), ("0.000018 USD", "0.000018 USD")] {
            let money: Money = text.parse().unwrap();
            assert_eq!(money.to_string(), shown);
            assert_eq!(serde_json::from_str::<Money>(&serde_json::to_string(&money).unwrap()).unwrap(), money);
        }
        for text in ["", "USD", "1", "1USD", "-1 USD", "1 usd", "1 DOLLARS", "1e3 USD", "NaN USD", "1 US D"] {
            let error = text.parse::<Money>().unwrap_err().to_string();
            assert!(error.contains("12.50 USD"), "{error}");
        }
    }

    #[test]
    fn currencies_do_not_mix() {
        let (dollar, euro): (Money, Money) = ("1 USD".parse().unwrap(), "1 EUR".parse().unwrap());
        assert_eq!(dollar.checked_add(&euro), None);
        assert_eq!(dollar.checked_add(&dollar).unwrap().to_string(), "2 USD");
        let all = Money::new(Decimal::MAX, "USD".parse().unwrap()).unwrap();
        assert_eq!(all.checked_add(&dollar), None);
    }

    #[test]
    fn rates_are_read_from_numbers_and_text() {
        for (text, expected) in [("0.04048", "0.04048"), ("\"0.04048\"", "0.04048"), ("3", "3"), ("1e-6", "0.000001")] {
            assert_eq!(serde_json::from_str::<Rate>(text).unwrap().to_string(), expected);
        }
        for text in ["-1", "\"-0.1\"", "\"x\"", "true", "null"] {
            assert!(serde_json::from_str::<Rate>(text).is_err(), "{text}");
        }
    }
}
