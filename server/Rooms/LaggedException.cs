namespace ChatMinimal;

/// <summary>A reader of the plain dialect has missed what is no longer there.</summary>
sealed class LaggedException(string message) : Exception(message);
